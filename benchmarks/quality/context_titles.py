"""Writes context.csv: titles whose level only their company or department tells, and some clear ones.

    python benchmarks/quality/context_titles.py

Places and companies are made up; the labels are those of docs/labelling-guide.md for the title as its context
reads it. Every unclear title comes once in each of its readings, so that alone it tells nothing.
"""

from __future__ import annotations

import csv
import random
from pathlib import Path

OUTPUT = Path(__file__).with_name("context.csv")
STAFF = "Individual Contributor/Staff"
NAMES = """
Umber Vole Kettle Quill Thistle Marrow Pewter Sable Gorse Lintel Bramble Oxlip Tansy Wicket Fennel
Harrow Plover Cobble Dapple Sorrel Juniper Mallow Pippin Russet Teasel Larkspur Osprey Curlew
""".split()
TITLES = (
    "{}, Moss Wing", "Senior {}, Puddleby", "{} - Lower Thimble", "{} (Kite Island)",
    "{} II, Snailbridge", "Group {} - Marmalade Bay", "{}, Region Wobble", "Interim {}, Puddleby",
    "Global {} (Thimble)", "{} (part-time, Kite Island)", "{} - Site Gumboot", "{}, Otter Quay",
)  # fmt: skip
COMPANIES = {
    "": ("{} Holdings", "{} Industries", "{} Group", "{} Ltd", "{} International"),
    "law firm": ("{} & {} Solicitors", "{} {} Attorneys LLP", "{} Chartered Accountants"),
    "school": ("{} Primary School", "{} Academy", "{} Grammar School", "{} High School"),
    "school district": ("{} School District", "{} County Schools", "{} Education Authority"),
    "engineering": ("{} Engineering Consultants", "{} Structural Design", "{} Geotechnics"),
    "restaurant": ("{} Bistro", "Restaurant {}", "{} Brasserie", "The {} Tavern"),
    "German": ("{} GmbH", "{} Maschinenbau GmbH", "{} & Söhne GmbH & Co. KG"),
    "airport": ("{} Airport", "{} Air Navigation Services", "{} Airfield"),
    "clinic": ("{} Hospital", "{} Medical Centre", "{} Family Clinic", "{} Health Practice"),
    "fund": ("{} Capital Fund", "{} Private Equity", "{} Ventures Fund"),
    "factory": ("{} Steel", "{} Paper Mills", "{} Packaging", "{} Glassworks"),
    "shop": ("{} Bakery", "{} Hair Salon", "{} Flowers", "{} Bicycle Shop"),
    "software": ("{} Software", "{} Cloud Systems", "{} Digital Platforms"),
    "SARL": ("{} SARL", "Société {} SARL", "{} Distribution SARL"),
    "magasin": ("Magasin {}", "Supermarché {}", "Boutique {}"),
    "builder": ("{} Construction", "{} Builders", "{} Civil Works"),
}
READINGS: dict[str, tuple[tuple[str, tuple[str, ...], str], ...]] = {
    "Partner": (
        ("law firm", ("", "Litigation", "Tax"), "Owner"),
        ("", ("Human Resources", "People Team", "Talent Acquisition"), STAFF),
    ),
    "Principal": (
        ("school", ("",), "Director"),
        ("engineering", ("Bridge Design", "Soil Testing", ""), STAFF),
    ),
    "Chef": (
        ("restaurant", ("", "Kitchen", "Pastry"), STAFF),
        ("German", ("", "Geschäftsleitung", "Leitung"), "Chief Officer"),
    ),
    "Controller": (
        ("", ("Finance", "Accounting", "Group Reporting"), "Manager"),
        ("airport", ("Tower", "Approach", ""), STAFF),
        ("", ("Warehouse", "Stock Room", "Stores"), STAFF),
    ),
    "MD": (
        ("clinic", ("Cardiology", "Paediatrics", ""), STAFF),
        ("factory", ("", "Executive Management"), "Director"),
    ),
    "GP": (
        ("clinic", ("", "Surgery", "Family Medicine"), STAFF),
        ("fund", ("", "Investments"), "Owner"),
    ),
    "Owner": (
        ("shop", ("",), "Owner"),
        ("software", ("Product Team", "Scrum Team", "Product Backlog"), STAFF),
    ),
    "Leiter": (
        ("German", ("Einkauf", "Personalabteilung", "Rechtsabteilung"), "Director"),
        ("German", ("Filiale Mitte", "Filiale Süd", "Projekt Neubau"), "Manager"),
        ("German", ("Schicht B", "Schicht A", "Team Lager"), STAFF),
    ),
    "Gérant": (
        ("SARL", ("",), "Chief Officer"),
        ("magasin", ("", "Rayon frais"), "Manager"),
    ),
    "Chair": (
        ("", ("Board of Directors", "Supervisory Board", "Board"), "Chief Officer"),
        ("", ("Audit Committee", "Membership Committee", "Safety Committee"), "Director"),
    ),
    "Member": (
        ("", ("Board of Directors", "Management Board", "Supervisory Board"), "Chief Officer"),
        ("", ("Sales Team", "Support Staff", "Service Desk"), STAFF),
    ),
    "Superintendent": (
        ("school district", ("", "Schools"), "Director"),
        ("builder", ("Building Site", "Road Works", ""), STAFF),
    ),
    "Secretary": (
        ("", ("Corporate Secretariat", "Company Law and Governance"), "Director"),
        ("", ("Reception", "Front Desk", "Typing Pool"), STAFF),
    ),
    "Deputy": (
        ("", ("Office of the Chief Executive", "Chief Executive"), "Vice President"),
        ("", ("Head of Marketing", "Head of Claims", "Head of Logistics"), "Director"),
        ("shop", ("Store Management", "Shop Floor Manager"), STAFF),
    ),
    "Head": (
        ("", ("Marketing", "Claims", "Legal Affairs"), "Director"),
        ("restaurant", ("Kitchen Crew", "Waiters", "Bar Crew"), "Manager"),
    ),
    "Executive": (
        ("", ("Sales", "Telesales", "Field Sales"), STAFF),
        ("", ("C-Suite", "C-level"), "Chief Officer"),
    ),
}  # fmt: skip
CLEAR = {
    "Chief Financial Officer": "Chief Officer", "CEO": "Chief Officer",
    "Co-Owner": "Owner", "Founder": "Owner",
    "Vice President Marketing": "Vice President", "SVP Operations": "Vice President",
    "Director of Logistics": "Director", "Head of Procurement": "Director",
    "Office Manager": "Manager", "Project Manager": "Manager", "Financial Controller": "Manager",
    "Receptionist": STAFF, "Software Engineer": STAFF, "Team Lead": STAFF, "Nurse": STAFF,
    "Warehouse Clerk": STAFF, "Product Owner": STAFF, "Air Traffic Controller": STAFF,
}  # fmt: skip
DEPARTMENTS = ("", "", "Marketing", "Finance", "Kitchen", "Human Resources", "Warehouse", "Sales")
REPEATED = 8
"""Rows of each clear title, in any company and department; some have neither."""


def main() -> None:
    """Write the table."""
    draw = random.Random(0)  # noqa: S311 - not for secrets
    rows = [
        (pattern.format(title), _company(kind, draw), draw.choice(departments), label)
        for title, readings in READINGS.items()
        for pattern in TITLES
        for kind, departments, label in readings
    ]
    for title, label in CLEAR.items():
        for pattern in draw.sample(TITLES, REPEATED):
            company = draw.choice(("", _company(draw.choice([*COMPANIES]), draw)))
            rows.append((pattern.format(title), company, draw.choice(DEPARTMENTS), label))
    with OUTPUT.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(["title", "company", "department", "labels"])
        writer.writerows(rows)


def _company(kind: str, draw: random.Random) -> str:
    return draw.choice(COMPANIES[kind]).format(*draw.sample(NAMES, 2))


if __name__ == "__main__":
    main()
