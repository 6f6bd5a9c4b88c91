"""From clips and a calibration to pairs a model can train on."""
