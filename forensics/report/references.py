"""The names behind the numbers: OWASP API Security Top 10 of 2023 and the CWE entries our rules point to."""

from __future__ import annotations

OWASP = {
    "API1:2023": "Broken Object Level Authorization",
    "API2:2023": "Broken Authentication",
    "API3:2023": "Broken Object Property Level Authorization",
    "API4:2023": "Unrestricted Resource Consumption",
    "API5:2023": "Broken Function Level Authorization",
    "API6:2023": "Unrestricted Access to Sensitive Business Flows",
    "API7:2023": "Server Side Request Forgery",
    "API8:2023": "Security Misconfiguration",
    "API9:2023": "Improper Inventory Management",
    "API10:2023": "Unsafe Consumption of APIs",
}

CWE = {
    "CWE-200": "Exposure of Sensitive Information to an Unauthorized Actor",
    "CWE-226": "Sensitive Information in Resource Not Removed Before Reuse",
    "CWE-312": "Cleartext Storage of Sensitive Information",
    "CWE-316": "Cleartext Storage of Sensitive Information in Memory",
    "CWE-400": "Uncontrolled Resource Consumption",
    "CWE-401": "Missing Release of Memory after Effective Lifetime",
    "CWE-404": "Improper Resource Shutdown or Release",
    "CWE-405": "Asymmetric Resource Consumption",
    "CWE-459": "Incomplete Cleanup",
    "CWE-664": "Improper Control of a Resource Through its Lifetime",
    "CWE-668": "Exposure of Resource to Wrong Sphere",
    "CWE-770": "Allocation of Resources Without Limits or Throttling",
    "CWE-771": "Missing Reference to Active Allocated Resource",
    "CWE-772": "Missing Release of Resource after Effective Lifetime",
    "CWE-775": "Missing Release of File Descriptor or Handle after Effective Lifetime",
    "CWE-789": "Memory Allocation with Excessive Size Value",
    "CWE-833": "Deadlock",
    "CWE-1088": "Synchronous Access of Remote Resource without Timeout",
    "CWE-1325": "Improperly Controlled Sequential Memory Allocation",
}


def named(identifier: str) -> str:
    """``CWE-401 Missing Release of Memory after Effective Lifetime``; an unknown one comes back as it is."""
    name = OWASP.get(identifier) or CWE.get(identifier)
    return f"{identifier} {name}" if name else identifier
