"""Pictures of a clip's heatmaps, as `lrt synthesise` asks for them."""

from pathlib import Path

import numpy as np

from .results import Result, StageError, Update, plain, silent


def synthesise(run: Path | str, heatmaps: Path, source: Path | str, out: Path, on_progress: Update = silent) -> Result:
    """Draw a picture for every heatmap of a clip, clothed and lit like the source.

    The clip's images are not read.

    Args:
        run: trained, or exported; it carries the calibration that its dataset was cut with.
        heatmaps: a clip of the same rig.
        source: who lends clothing and light, see `drawing.Drawing.source`.

    Raises:
        DrawingError, RunError, ClipError, StageError: see there; a source of another size, or `out` exists.
    """
    from ..model.synthesise import synthesise as draw
    from ..model.synthesise import write_pictures
    from ..rig.clip import open_clip
    from .drawing import open_drawing

    if out.exists():
        raise StageError(f"{out} exists already; choose another --out")
    drawing = open_drawing(run)
    clip = open_clip(heatmaps)
    found = clip.heatmaps()
    if not found:
        raise StageError(f"{heatmaps}: the clip holds no heatmaps")
    celsius = drawing.view.sample_heatmap(clip.oriented(np.stack([heatmap.celsius for heatmap in found])))
    drawn = []
    for image in draw(drawing.drawer, iter(celsius), drawing.source(source)):
        drawn.append(image)
        on_progress(len(drawn), len(celsius))
    video = write_pictures(drawn, celsius, out)
    return plain({"out": str(out), "pictures": len(drawn), "video": str(video), "source": str(source)})
