"""SARIF: checked against the parts of the SARIF 2.1.0 schema that a log of ours can touch."""

import jsonschema
import pytest

from forensics.findings import DynamoDB, Finding, Findings, Growth, References, Remediation, Retainer
from forensics.report.sarif import to_sarif

_MESSAGE = {"type": "object", "required": ["text"], "properties": {"text": {"type": "string"}}}
_ARTIFACT = {
    "type": "object",
    "additionalProperties": False,
    "properties": {
        "uri": {"type": "string", "format": "uri-reference"},
        "uriBaseId": {"type": "string"},
        "index": {"type": "integer", "minimum": -1},
    },
}
_REGION = {"type": "object", "properties": {"startLine": {"type": "integer", "minimum": 1}}}
_LOCATION = {
    "type": "object",
    "additionalProperties": False,
    "properties": {
        "physicalLocation": {
            "type": "object",
            "additionalProperties": False,
            "required": ["artifactLocation"],
            "properties": {"artifactLocation": _ARTIFACT, "region": _REGION},
        },
        "logicalLocations": {
            "type": "array",
            "items": {
                "type": "object",
                "additionalProperties": False,
                "properties": {"fullyQualifiedName": {"type": "string"}, "kind": {"type": "string"}},
            },
        },
    },
}
_RULE = {
    "type": "object",
    "required": ["id"],
    "additionalProperties": False,
    "properties": {
        "id": {"type": "string"},
        "name": {"type": "string"},
        "shortDescription": _MESSAGE,
        "fullDescription": _MESSAGE,
        "help": _MESSAGE,
        "properties": {
            "type": "object",
            "properties": {"tags": {"type": "array", "uniqueItems": True, "items": {"type": "string"}}},
        },
    },
}
_RESULT = {
    "type": "object",
    "required": ["message"],
    "additionalProperties": False,
    "properties": {
        "ruleId": {"type": "string"},
        "ruleIndex": {"type": "integer", "minimum": -1},
        "kind": {"enum": ["notApplicable", "pass", "fail", "review", "open", "informational"]},
        "level": {"enum": ["none", "note", "warning", "error"]},
        "message": _MESSAGE,
        "locations": {"type": "array", "items": _LOCATION},
        "partialFingerprints": {"type": "object", "additionalProperties": {"type": "string"}},
        "rank": {"type": "number", "minimum": -1, "maximum": 100},
        "properties": {"type": "object"},
    },
}
SCHEMA = {
    "type": "object",
    "required": ["version", "runs"],
    "additionalProperties": False,
    "properties": {
        "$schema": {"type": "string", "format": "uri"},
        "version": {"enum": ["2.1.0"]},
        "runs": {
            "type": "array",
            "minItems": 0,
            "items": {
                "type": "object",
                "required": ["tool"],
                "additionalProperties": False,
                "properties": {
                    "tool": {
                        "type": "object",
                        "required": ["driver"],
                        "additionalProperties": False,
                        "properties": {
                            "driver": {
                                "type": "object",
                                "required": ["name"],
                                "additionalProperties": False,
                                "properties": {
                                    "name": {"type": "string"},
                                    "version": {"type": "string"},
                                    "rules": {"type": "array", "uniqueItems": True, "items": _RULE},
                                },
                            }
                        },
                    },
                    "results": {"type": "array", "items": _RESULT},
                    "columnKind": {"enum": ["utf16CodeUnits", "unicodeCodePoints"]},
                    "properties": {"type": "object"},
                },
            },
        },
    },
}


def finding(**changes):
    values = {
        "id": "F1",
        "rule": "L03",
        "title": "orders.api.RESPONSES keeps 30 Query responses",
        "severity": "high",
        "confidence": 0.97,
        "runtime": "python",
        "retainer": Retainer("orders.api.RESPONSES", "module-variable", file="/srv/a b/api.py", line=12),
        "retained_bytes": 1000,
        "objects": 30,
        "growth": Growth("growing", 10.0, 1.0, None),
        "dynamodb": DynamoDB("response", "Query", "Orders", 30),
        "evidence": ("elements over 3 snapshots: 10 → 20 → 30",),
        "remediation": Remediation("Bound it.", "x = 1\n"),
        "references": References(("API4:2023",), ("CWE-770",)),
        **changes,
    }
    return Finding(**values)


@pytest.mark.parametrize(
    "findings",
    [
        (),
        (finding(),),
        (finding(), finding(rule="L01", severity="medium", retainer=Retainer("x.y", "attribute"))),
        (finding(rule="FP4", severity="info", dynamodb=None, remediation=Remediation("")),),
    ],
)
def test_fits_the_schema(findings):
    log = to_sarif(Findings("small", 3, findings))
    jsonschema.Draft202012Validator(SCHEMA).validate(log)
    (run,) = log["runs"]
    assert len(run["results"]) == len(findings)
    for result in run["results"]:
        assert run["tool"]["driver"]["rules"][result["ruleIndex"]]["id"] == result["ruleId"]
        # By the specification a result that is not a failure has no level.
        assert (result["kind"] == "fail") == (result["level"] != "none")


def test_places_levels_and_fingerprints():
    log = to_sarif(Findings("small", 3, (finding(),)))
    (result,) = log["runs"][0]["results"]
    place = result["locations"][0]
    assert place["physicalLocation"]["artifactLocation"]["uri"] == "file:///srv/a%20b/api.py"
    assert place["physicalLocation"]["region"] == {"startLine": 12}
    assert place["logicalLocations"][0]["fullyQualifiedName"] == "orders.api.RESPONSES"
    assert result["level"] == "error"
    again = to_sarif(Findings("other", 5, (finding(id="F7", retained_bytes=5),)))
    assert again["runs"][0]["results"][0]["partialFingerprints"] == result["partialFingerprints"]


def test_a_finding_without_a_file_has_no_physical_location():
    log = to_sarif(Findings("small", 3, (finding(retainer=Retainer("x", "task")),)))
    assert "physicalLocation" not in log["runs"][0]["results"][0]["locations"][0]
