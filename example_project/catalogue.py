"""Initial products of the shop. Data only, so that clients can know it, too."""

FREE_COUPON = "WELCOME100"
"""Takes 100 % off."""

CATALOGUE = {
    "beans": (
        ("BEA-101", "House blend, 500 g", 1190),
        ("BEA-102", "Ethiopia Sidamo, 250 g", 990),
        ("BEA-103", "Colombia Huila, 250 g", 940),
        ("BEA-104", "Decaf Peru, 500 g", 1390),
        ("BEA-105", "Espresso dark roast, 1 kg", 2190),
        ("BEA-106", "Kenya Nyeri, 250 g", 1240),
        ("BEA-107", "Guatemala Antigua, 250 g", 1020),
        ("BEA-108", "Sample box, 6 x 60 g", 1890),
    ),
    "brewing": (
        ("BRW-201", "Pour-over dripper, ceramic", 2490),
        ("BRW-202", "Glass server, 600 ml", 1990),
        ("BRW-203", "French press, 1 l", 3490),
        ("BRW-204", "Moka pot, 6 cups", 2990),
        ("BRW-205", "Cold brew bottle, 750 ml", 2290),
        ("BRW-206", "Gooseneck kettle, 0.9 l", 6490),
        ("BRW-207", "Vacuum brewer", 8990),
        ("BRW-208", "Travel press, 350 ml", 2790),
    ),
    "grinders": (
        ("GRI-301", "Hand grinder, steel burrs", 7990),
        ("GRI-302", "Hand grinder, ceramic burrs", 4490),
        ("GRI-303", "Electric grinder, 40 mm", 12900),
        ("GRI-304", "Electric grinder, 64 mm", 34900),
        ("GRI-305", "Grinder cleaning brush", 890),
        ("GRI-306", "Replacement burrs, 40 mm", 3290),
    ),
    "tea": (
        ("TEA-401", "Darjeeling first flush, 100 g", 1590),
        ("TEA-402", "Sencha, 100 g", 1190),
        ("TEA-403", "Earl Grey, 150 g", 990),
        ("TEA-404", "Rooibos vanilla, 150 g", 790),
        ("TEA-405", "Oolong, 100 g", 1790),
        ("TEA-406", "Cast-iron teapot, 0.8 l", 5490),
    ),
    "accessories": (
        ("ACC-501", "Paper filters, 100 pieces", 590),
        ("ACC-502", "Scale with timer", 3990),
        ("ACC-503", "Storage tin, 500 g", 1490),
        ("ACC-504", "Milk jug, 350 ml", 1790),
        ("ACC-505", "Cupping spoon", 690),
        ("ACC-506", "Descaler, 500 ml", 890),
        ("ACC-507", "Tamper, 58 mm", 2990),
        ("ACC-508", "Cups, set of 4", 2790),
    ),
}
"""SKU, name and price in cents by category."""
