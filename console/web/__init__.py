"""The phone console: a page that the rig daemon serves, with which a technician records, looks, and calibrates.

The daemon's own threads never wait for a phone. What sensor and camera give is laid where the newest replaces the one
before (streams.py); from there an event loop in a thread of its own hands it to whoever watches, as fast as each can
take it. What the page asks for is done by the same `Daemon` that `lrt capture` asks.

    server.py        the thread, the address and the key
    guard.py         who may ask for anything at all, and how much
    app.py           the app and its page; routes_live.py, routes_clips.py, routes_work.py: the other routes
    asking.py        what a request says; refusals.py: what it is told when it may not
    hub.py           the parts below, and the state that every phone is told
    streams.py       heat, pictures and drawings to those who watch
    seat.py          one technician records, others watch
    desk.py          record, count down, stop; what came of it
    coverage.py      where in the heat the occupant has been
    library.py       clips: pictures, frames, quality, tags, removal; copying.py: a copy of one
    protocol.py      the clips that a rig's data wants, done and missing
    child.py         programs beside the daemon, so that torch stays out of it
    calibrations.py  the calibrations; calibrating.py: the child that makes one
    drawings.py      live drawing; worker.py: the child that draws
    static/          the page
"""
