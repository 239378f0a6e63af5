"""Sets the detector beside Presidio on the same columns: python compare.py test (after presidio_peer.py test).

Only kinds that Presidio's default English registry knows take part, on both sides. Its DATE_TIME and NRP have no
counterpart and are passed over in its favour; LOCATION is right for a city and for an address.
"""

import json
import pathlib
import sys

import evaluate
import judge

HERE = pathlib.Path(__file__).parent
ENTITIES = {
    "EMAIL_ADDRESS": "email", "PHONE_NUMBER": "phone", "PERSON": "person_name", "CREDIT_CARD": "credit_card", "IBAN_CODE": "iban",
    "US_SSN": "us_ssn", "US_ITIN": "tax_id", "US_PASSPORT": "passport", "US_DRIVER_LICENSE": "driver_license", "US_BANK_NUMBER": "bank_account",
    "IP_ADDRESS": "ip_address", "MAC_ADDRESS": "mac_address", "URL": "url", "CRYPTO": "crypto_wallet", "MEDICAL_LICENSE": "medical_provider_id",
    "UK_NHS": "health_id", "US_MBI": "health_id", "US_NPI": "medical_provider_id", "ABA_ROUTING_NUMBER": "bank_routing",
    "UK_NINO": "national_id", "ES_NIF": "national_id", "ES_NIE": "national_id", "IT_FISCAL_CODE": "national_id", "PL_PESEL": "national_id",
    "IN_AADHAAR": "national_id", "IN_PAN": "tax_id", "SG_NRIC_FIN": "national_id", "AU_TFN": "tax_id", "AU_ABN": "tax_id", "AU_MEDICARE": "health_id",
    "FI_PERSONAL_IDENTITY_CODE": "national_id", "LOCATION": "city",
}
PASSED_OVER = {"DATE_TIME", "NRP", None, "NON_PII", "NON_PII_ENTITY"}


def main():
    part = sys.argv[1]
    tables = judge.load(HERE / "data" / f"{part}.jsonl")
    peer = json.loads((HERE / "data" / f"{part}.presidio.json").read_text())
    seen = {entity for table in peer["answers"].values() for entity in table.values()}
    print("entities seen:", sorted(entity for entity in seen if entity), "unmapped:", sorted(str(e) for e in seen - set(ENTITIES) - PASSED_OVER))
    answers = []
    for table in tables:
        found = {}
        for index, column in enumerate(table["columns"]):
            entity = peer["answers"][table["name"]].get(str(index))
            if entity in ENTITIES:
                kind = ENTITIES[entity]
                if entity == "LOCATION" and column["label"] == "postal_address":
                    kind = "postal_address"
                found[index] = [(kind, None)]
        answers.append(found)
    only = {"email", "phone", "person_name", "credit_card", "iban", "us_ssn", "tax_id", "passport", "driver_license", "bank_account", "ip_address", "mac_address", "url", "crypto_wallet", "health_id", "medical_provider_id", "city", "postal_address"}
    ours = evaluate.score(tables, evaluate.findings(tables), only=only)
    theirs = evaluate.score(tables, answers, only=only)
    evaluate.report(ours, "boathouse")
    evaluate.report(theirs, "presidio ")
    print("kind, columns, then precision / recall / F1 of boathouse under clear, opaque, misleading names and of presidio")
    for kind in sorted(only):
        cells = [evaluate.rates(*scores[regime].by_kind[kind]) for scores, regime in [(ours, "clear"), (ours, "opaque"), (ours, "misleading"), (theirs, "clear")]]
        columns = ours["clear"].by_kind[kind][0] + ours["clear"].by_kind[kind][2]
        print(f"| `{kind}` | {columns} | " + " | ".join(" / ".join(f"{value:.2f}" for value in cell) for cell in cells) + " |")
    print(f"presidio: {peer['values'] / peer['seconds']:.0f} values a second of processor time")


if __name__ == "__main__":
    main()
