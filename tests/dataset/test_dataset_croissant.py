"""MLCommons' own package accepts croissant.json without a complaint, and reads every record back, offline."""

import base64
import io
import json
import subprocess
import sys

import pyarrow.parquet as pq
import pytest
from PIL import Image

from lrt.dataset.build import BuildReport

# In a process of its own: where `datasets` is imported too, pandas gets the heatmaps in a type of that package, which
# mlcroissant cannot read.
READ = """
import base64, json, socket, sys
import mlcroissant

def refuse(*_):
    raise AssertionError("it asked the network")

def tell(value):
    if hasattr(value, "tobytes"):
        return [value.mode, value.size, base64.b64encode(value.tobytes()).decode()]
    if isinstance(value, list):
        return [tell(each) for each in value]
    return value.decode() if isinstance(value, bytes) else value

socket.socket.connect = refuse
dataset = mlcroissant.Dataset(sys.argv[1])
assert not dataset.metadata.ctx.issues.errors, dataset.metadata.ctx.issues.report()
for record in dataset.records("pairs"):
    print(json.dumps({name.removeprefix("pairs/"): tell(value) for name, value in record.items()}))
"""


def test_every_record_comes_back_as_it_stands_in_the_shards(report: BuildReport) -> None:
    pytest.importorskip("mlcroissant")
    command = [sys.executable, "-c", READ, str(report.path / "croissant.json")]
    printed = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    records = [json.loads(line) for line in printed.splitlines()]
    rows = [row for clip in report.info.clips for row in pq.read_table(report.path / clip.shard).to_pylist()]
    assert len(records) == 36
    for record, row in zip(records, rows, strict=True):
        mode, size, pixels = record.pop("rgb")
        assert (mode, size) == ("RGB", [64, 40])
        assert pixels == encode_pixels(row.pop("rgb")["bytes"])
        assert record == row


def encode_pixels(png: bytes) -> str:
    """The decoded pixels, RGB, in base64."""
    return base64.b64encode(Image.open(io.BytesIO(png)).convert("RGB").tobytes()).decode()


def test_it_tells_of_people_labels_and_no_licence(report: BuildReport) -> None:
    told = json.loads((report.path / "croissant.json").read_text())
    assert "consent of the scope 'internal'" in told["rai:personalSensitiveInformation"]
    (records,) = told["recordSet"]
    (clothing,) = [field for field in records["field"] if field["name"] == "clothing"]
    assert clothing["description"] == "0: white; 1: red; 2: green; 3: blue; 4: black"
    assert told["license"] == "not chosen yet"
