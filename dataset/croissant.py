"""`croissant.json`: the dataset in the words of MLCommons Croissant, which search engines and loaders read.

Written as plain JSON, so that building needs no `mlcroissant`; that package validates it and reads every record back in
a test. The files are named by a pattern under the folder in which croissant.json lies, so nothing is downloaded.
Source: https://docs.mlcommons.org/croissant/docs/croissant-spec-1.1.html and .../croissant-rai-spec.html
"""

import json
from typing import Any

from .info import DATA_NAME, DatasetInfo
from .schema import list_features
from .tags import Vocabulary

_TYPES = {
    "string": "sc:Text",
    "int16": "sc:Integer",
    "int32": "sc:Integer",
    "int64": "sc:Integer",
    "float32": "sc:Float",
    "bool": "sc:Boolean",
}
_TERMS = ("citeAs", "column", "extract", "field", "fileSet", "includes", "jsonPath", "recordSet", "source", "transform")
_CONTEXT = {
    "@language": "en",
    "@vocab": "https://schema.org/",
    "cr": "http://mlcommons.org/croissant/",
    "rai": "http://mlcommons.org/croissant/RAI/",
    "dct": "http://purl.org/dc/terms/",
    "sc": "https://schema.org/",
    "conformsTo": "dct:conformsTo",
    "dataType": {"@id": "cr:dataType", "@type": "@vocab"},
    **{term: f"cr:{term}" for term in _TERMS},
}
_PEOPLE = "Pictures of people under consent of the scope '{}'; small, yet who knows a person may know them again."
_NOBODY = "Made by a digital twin: no person was recorded."


def render_croissant(info: DatasetInfo) -> str:
    """The file's text; the same for the same dataset."""
    features = list_features(info.heatmap_shape, info.has_full, Vocabulary.from_dict(info.vocabulary))
    described: dict[str, Any] = {
        "@context": _CONTEXT,
        "@type": "sc:Dataset",
        "name": "thermopile-heatmaps-with-pictures",
        "description": "Heatmaps of a low-resolution thermopile sensor, each with the picture nearest in time.",
        "conformsTo": "http://mlcommons.org/croissant/1.1",
        "license": "not chosen yet",
        "version": info.schema,
        "rai:personalSensitiveInformation": _NOBODY if info.synthetic else _PEOPLE.format(info.scope),
        "rai:dataUseCases": "Synthesising pictures from low-resolution heat; not finding out who is in them.",
        "distribution": [
            {
                "@type": "cr:FileSet",
                "@id": "shards",
                "name": "shards",
                "description": "One file a clip.",
                "encodingFormat": "application/x-parquet",
                "includes": f"{DATA_NAME}/*.parquet",
            }
        ],
        "recordSet": [
            {
                "@type": "cr:RecordSet",
                "@id": "pairs",
                "name": "pairs",
                "field": [_describe_field(name, kind) for name, kind in features.items()],
            }
        ],
    }
    return json.dumps(described, indent=2) + "\n"


def _describe_field(name: str, kind: dict[str, Any]) -> dict[str, Any]:
    """One column."""
    source: dict[str, Any] = {"fileSet": {"@id": "shards"}, "extract": {"column": name}}
    more: dict[str, Any] = {}
    if kind["_type"] == "Image":
        data_type, source["transform"] = "sc:ImageObject", {"jsonPath": "bytes"}
    elif kind["_type"] == "ClassLabel":
        data_type, more["description"] = "sc:Integer", "; ".join(f"{n}: {each}" for n, each in enumerate(kind["names"]))
    elif kind["_type"] == "Array2D":
        data_type, more = "sc:Float", {"cr:isArray": True, "cr:arrayShape": ",".join(map(str, kind["shape"]))}
    elif kind["_type"] == "Sequence":
        data_type, more = "sc:Text", {"cr:isArray": True, "cr:arrayShape": "-1"}
    else:
        data_type = _TYPES[kind["dtype"]]
    return {"@type": "cr:Field", "@id": f"pairs/{name}", "name": name, "dataType": data_type, "source": source, **more}
