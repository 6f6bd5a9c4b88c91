// Bracket for an AMG8833 breakout and a Raspberry Pi camera: both axes parallel, the lenses one above the other and as
// near as the boards allow, a tripod nut below. OpenSCAD 2021.01 or newer. With tilt 0 it prints front face down and
// without supports; with a tilt it wants some.
//
//   openscad -o mount.stl mount.scad                       the part
//   openscad -o mount.stl -D camera=3 mount.scad           for a Camera Module 3
//   openscad -o mount.png -D 'show="both"' mount.scad      front and back with the boards in place (mount.png)
//
// Why near. Two lenses b metres apart see what stands z metres away displaced by 7.6 b / z thermal pixels
// (7.6 = 1 / tan 7.5 deg, the sensor's pitch). Calibration removes that for one distance and leaves 7.6 b (1/z - 1/z0).
// Side by side on one plane the boards' edges keep the lenses 22 mm apart. Here the sensor's board lies in front of the
// camera's board and ends at the lens: 17.6 mm for a Camera Module 2, 18.8 mm for a 3. The rest between 1 m and 2 m is
// then 7 % of a thermal pixel. One above the other, what is left moves a person up and down, not sideways, where people
// walk.
//
// Why parallel. A degree of toe-in moves the heatmap by 0.13 thermal pixels at every distance, which calibration takes
// out; a degree of roll turns it, which calibration (shift and scale) does not know. So one plate carries both boards.
// The sensor's own axis is within 5.6 degrees of its package's (datasheet): no bracket mends that, calibration does.
//
// Not printed or held against real boards by us. Sizes marked (cad) are Adafruit's own CAD model of its product 3538;
// (model) are published models of the camera modules; the rest is choice. MEASURE YOURS, above all the lens housing.

/* [What is mounted] */
camera = 2;              // [2, 3] Raspberry Pi Camera Module
sensor_turn = 90;        // [0, 90] 90: header pins left and right, clear of the ribbon; then set `rotation` in rig.toml. 0 needs
                         // a board whose upper row of holes has no pins: they would touch the camera board
tilt = 0;                // [-15:15] deg the head leans back; the axes stay parallel
show = "print";          // [print, front, back, both] print: the part as it lies on the bed; else with the boards

/* [Sensor board: Adafruit 3538. Measure yours] */
amg_board = 25.4;        // (cad) mm, square
amg_thick = 1.6;         // (cad) mm, its circuit board
amg_holes = 20.32;       // (cad) mm between holes, both ways
amg_body = [11.6, 8.0];  // (cad) mm, the sensor's package
amg_body_off = 2.0;      // (cad) mm, from the package's middle to its lens; the lens is the board's middle
amg_body_tall = 4.3;     // (cad) mm above the board
amg_parts_tall = 1.6;    // mm, tallest other part on its front
amg_pilot = 2.1;         // mm, for an M2.5 screw that cuts its own thread; 2.5 mm holes (cad)

/* [Camera board. Measure yours] */
cam_board = [25, 23.9];  // (model) mm
cam_holes = [21, 12.5];  // (model) mm between holes
cam_lens_x = 0;          // (model) mm, lens to the middle between the holes
cam_lens_y = 0;          // (model) mm, lens above the lower line of holes (the line at the ribbon's side)
cam_below = 9.4;         // (model) mm, from the lens to the board's edge at the ribbon
cam_housing = camera == 2 ? 8.5 : 11.05; // (model) mm, square foot of the lens
cam_pilot = 1.7;         // mm, for an M2 screw that cuts its own thread

/* [Bracket] */
wall = 2.4;              // mm, rim and gussets: six lines of a 0.4 mm nozzle
plate = 2.0;             // mm; the sensor's lens must stand proud of it, or the sensor sees its own bracket
gap = 0.6;               // mm, between the sensor's board and the lens housing
slack = 0.4;             // mm, around what passes through the plate
rim_tall = 5.5;          // mm behind the plate, against bending
boss = 4.6;              // mm, outer diameter of what the boards rest on
nut = [11.2, 5.7];       // mm across flats and thick: hexagon nut 1/4-20 UNC (11.11 x 5.56)
nut_hole = 6.7;          // mm, for the 1/4 inch screw (6.35)
foot_floor = 2.0;        // mm of plastic below the nut: a tripod's screw is about 5 mm long and must reach the nut
foot_deep = 26;          // mm from the plate's back

$fn = 48;

// Seen from behind, as you assemble it: x right, y up, z towards you. Front face z = 0, camera lens x = y = 0.
baseline = amg_board / 2 + cam_housing / 2 + gap;
amg_y = -baseline;                                     // the sensor below, at the ribbon's side of the camera
amg_z = plate + amg_parts_tall;                        // front of the sensor's board
screw_head = 2.0;                                      // mm, M2.5 pan head behind the sensor's board
cam_z = amg_z + amg_thick + screw_head + 0.3;          // front of the camera's board, clear of those heads
half = max(amg_board, cam_board[0]) / 2 + gap;         // inside of the rim
top = cam_board[1] - cam_below + gap;
bottom = amg_y - amg_board / 2 - gap;
nut_across_corners = nut[0] / cos(30);
foot_tall = nut[1] + foot_floor;

echo(str("baseline ", baseline, " mm: ", round(1000 * 7.6 * baseline / 1000 * (1 / 1 - 1 / 2)) / 10,
         " % of a thermal pixel between 1 m and 2 m"));
assert(baseline <= 20, "lenses more than 2 cm apart: see BOM.md");
assert(amg_body_tall > amg_parts_tall + plate, "the sensor's lens is sunk in the plate: its corners would see plastic");

module at_holes(dx, dy) for (x = [-dx, dx] / 2, y = [-dy, dy] / 2) translate([x, y, 0]) children();

module at_camera_holes()
    translate([-cam_lens_x, -cam_lens_y + cam_holes[1] / 2, 0]) at_holes(cam_holes[0], cam_holes[1]) children();

module at_sensor_holes() translate([0, amg_y, 0]) at_holes(amg_holes, amg_holes) children();

// The package is not in the middle of its lens; the window is long both ways, so the board may go in either way round.
module sensor_window() {
    long = amg_body[0] + 2 * amg_body_off + 2 * slack;
    wide = amg_body[1] + 2 * slack;
    translate([0, amg_y, plate / 2]) rotate(sensor_turn) cube([long, wide, plate + 1], center = true);
}

// Opens to the front at 45 degrees, wider than any of the lenses sees.
module camera_window() {
    side = cam_housing + 2 * slack;
    hull() {
        translate([0, 0, plate + 0.5]) cube([side, side, 1.02], center = true);
        translate([0, 0, -0.01]) cube([side + 2 * plate, side + 2 * plate, 0.02], center = true);
    }
}

module slab(x0, y0, z0, x1, y1, z1) translate([x0, y0, z0]) cube([x1 - x0, y1 - y0, z1 - z0]);

module leaning() translate([0, bottom, 0]) rotate([tilt, 0, 0]) translate([0, -bottom, 0]) children();

module head() difference() {
    union() {
        slab(-half - wall, bottom - 0.01, 0, half + wall, top + wall, plate);
        for (s = [-1, 1]) translate([s * (half + wall / 2), 0, 0])      // rim left and right
            slab(-wall / 2, bottom - 0.01, 0, wall / 2, top + wall, plate + rim_tall);
        slab(-half, top, 0, half, top + wall, plate + rim_tall);        // and above
        at_camera_holes() cylinder(d = boss, h = cam_z);
        at_sensor_holes() cylinder(d = boss, h = amg_z);
    }
    sensor_window();
    camera_window();
    at_camera_holes() translate([0, 0, plate]) cylinder(d = cam_pilot, h = cam_z);     // blind: the front stays whole
    at_sensor_holes() translate([0, 0, 0.6]) cylinder(d = amg_pilot, h = amg_z);
}

module foot() difference() {
    slab(-half - wall, bottom - foot_tall, 0, half + wall, bottom, plate + foot_deep);
    translate([0, bottom, plate + foot_deep / 2]) rotate([90, 0, 0]) {
        translate([0, 0, -1]) rotate(30) cylinder(d = nut_across_corners, h = nut[1] + 1, $fn = 6); // from above
        cylinder(d = nut_hole, h = foot_tall + 1);
    }
}

// Triangles left and right; the ribbon and the sensor's wires leave between them.
module gussets() for (s = [-1, 1]) translate([s * (half + wall / 2), 0, 0]) hull() {
    leaning() slab(-wall / 2, bottom, 0, wall / 2, amg_y + amg_board / 3, plate + rim_tall);
    slab(-wall / 2, bottom - 1, 0, wall / 2, bottom, plate + foot_deep);
}

module bracket() {
    leaning() head();
    foot();
    gussets();
    if (tilt != 0) hull() {                            // closes the wedge between head and foot
        leaning() slab(-half - wall, bottom, 0, half + wall, bottom + 0.01, plate);
        slab(-half - wall, bottom - 0.01, 0, half + wall, bottom, plate);
    }
}

// The boards, for the pictures and for the test that nothing cuts into anything.
module sensor_board() {
    color("purple") difference() {
        translate([0, amg_y, amg_z + amg_thick / 2]) cube([amg_board, amg_board, amg_thick], center = true);
        at_sensor_holes() cylinder(d = 2.5, h = 20);
    }
    color("silver") translate([0, amg_y, amg_z]) rotate(sensor_turn) translate([-amg_body_off, 0, 0]) {
        translate([0, 0, -0.75]) cube([amg_body[0], amg_body[1], 1.5], center = true);
        translate([0, 0, -amg_body_tall / 2]) cube([8.9, 5.3, amg_body_tall], center = true);
    }
    color("black") translate([0, amg_y, amg_z - amg_body_tall]) cube([2.6, 2.6, 0.2], center = true);
    color("gold") translate([0, amg_y, 0]) rotate(sensor_turn) for (x = [-2.5 : 2.5], y = [-1, 1])
        translate([x * 2.54, y * amg_holes / 2, amg_z + amg_thick + 4]) cube([0.64, 0.64, 8], center = true);
    color("dimgray") at_sensor_holes() translate([0, 0, amg_z + amg_thick]) cylinder(d = 4.5, h = screw_head);
}

module camera_board() {
    tall = camera == 2 ? 5.6 : 8.9;                    // (model) mm, lens above the board
    color("green") difference() {
        translate([-cam_board[0] / 2, -cam_below, cam_z]) cube([cam_board[0], cam_board[1], 1]);
        at_camera_holes() cylinder(d = 2.2, h = 20);
    }
    color("dimgray") translate([0, 0, cam_z - 2]) cube([cam_housing, cam_housing, 4], center = true);
    color("black") translate([0, 0, cam_z - tall]) cylinder(d = 7, h = tall);
    color("steelblue") translate([0, 0, cam_z - tall - 0.1]) cylinder(d = 2.6, h = 0.2);
    color("ivory") translate([-10.5, -cam_below, cam_z + 1]) cube([21, 5.6, 2.6]);
    color("white") translate([-8, -cam_below - 14, cam_z + 2]) cube([16, 15, 0.3]);   // the ribbon's first 14 mm
    color("dimgray") at_camera_holes() translate([0, 0, cam_z + 1]) cylinder(d = 3.8, h = 1.5);
}

module assembled() {
    color("orange") bracket();
    leaning() { sensor_board(); camera_board(); }
}

module standing(back) rotate([90, 0, back ? 0 : 180]) translate([0, 0, -foot_deep / 2]) children();

if (show == "print") bracket();
if (show == "back" || show == "both") translate([show == "both" ? 30 : 0, 0, 0]) standing(true) assembled();
if (show == "front" || show == "both") translate([show == "both" ? -30 : 0, 0, 0]) standing(false) assembled();
