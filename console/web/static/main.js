/** Starts the page: every part once, then the connection. */

import { startCalibrate } from "./calibrate.js";
import { startClip } from "./clip.js";
import { startClips } from "./clips.js";
import { startDraw } from "./draw.js";
import { startFrame } from "./frame.js";
import { startLive } from "./live.js";
import { startRecord } from "./record.js";
import { join } from "./stream.js";
import { startTabs } from "./tabs.js";

startFrame();
startLive();
startRecord();
startClip();
startClips();
startCalibrate();
startDraw();
startTabs();
join();
