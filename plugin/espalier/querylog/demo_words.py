"""Vocabulary of the synthetic shop; every brand in it is invented.

Order means popularity: the first noun, brand or attribute of a list is asked for most.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final


def _words(text: str) -> tuple[str, ...]:
    return tuple(part.strip() for part in text.split("|"))


@dataclass(frozen=True, slots=True)
class Department:
    """One category of the shop.

    Attributes:
        name: Value of the category column.
        nouns: What is sold.
        brands: Who makes it.
        attributes: Adjectives that fit every noun.
        options: Sizes, packs and the like, typed after the noun.
        audiences: Whom it is for; empty where nobody asks.
        has_colours: Whether people ask for a colour.
        price: Typical price.
        season: Demand in each of the six months of the log, 1 being ordinary.
    """

    name: str
    nouns: tuple[str, ...]
    brands: tuple[str, ...]
    attributes: tuple[str, ...]
    options: tuple[str, ...]
    audiences: tuple[str, ...] = field(default=())
    has_colours: bool = True
    price: float = 30.0
    season: tuple[float, ...] = (1.0, 1.0, 1.0, 1.0, 1.0, 1.0)


COLOURS: Final = _words(
    "black|white|blue|red|grey|navy|green|pink|brown|beige|yellow|purple|silver|orange|teal|gold"
)

MODIFIERS_BEFORE: Final = _words("cheap|best|new")
MODIFIERS_AFTER: Final = _words("sale|deals|reviews")

LOCALES: Final = (("en-GB", 0.55), ("en-US", 0.3), ("en-AU", 0.1), ("en-IE", 0.05))

DEPARTMENTS: Final = (
    Department(
        "footwear",
        _words(
            "running shoes|trainers|hiking boots|sandals|slippers|ankle boots|wellies|"
            "football boots|loafers|flip flops|walking shoes|chelsea boots|ballet flats|insoles"
        ),
        _words("Veldora|Strydan|Kestrova|Paceline Nord|Ombrello|Taruvi|Hollinsfoot"),
        _words("waterproof|wide fit|leather|lightweight|slip on|memory foam|suede|fleece lined"),
        _words("size 6|size 8|size 9|size 7|size 5|size 10|size 4|size 11|half size"),
        _words("womens|mens|kids|girls|boys"),
        price=62.0,
        season=(1.0, 1.2, 1.3, 1.1, 0.9, 1.1),
    ),
    Department(
        "electronics",
        _words(
            "headphones|phone case|wireless earbuds|usb c cable|laptop stand|bluetooth speaker|"
            "power bank|tablet|keyboard|mouse|webcam|monitor|smart watch|memory card|hdmi cable|"
            "screen protector|wall charger"
        ),
        _words("Quorvex|Lumatrix|Zentique|Halcyon Audio|Pebblewave|Noctiva|Ferrotek"),
        _words(
            "wireless|noise cancelling|fast charging|waterproof|portable|foldable|gaming|"
            "rechargeable|slim"
        ),
        _words("for travel|2 pack|for kids|with case|for work|refurbished|bundle"),
        price=45.0,
        season=(1.0, 1.5, 1.8, 0.9, 0.8, 0.9),
    ),
    Department(
        "kitchen",
        _words(
            "coffee machine|frying pan|air fryer|kettle|chopping board|knife set|lunch box|"
            "water bottle|toaster|blender|mixing bowl|baking tray|saucepan|coffee grinder|"
            "storage jars|slow cooker|rolling pin"
        ),
        _words("Brambleware|Cucinetta|Oakenpot|Morrowby|Steelhearth|Pantrywell|Fennick"),
        _words(
            "non stick|stainless steel|cast iron|glass|ceramic|bamboo|dishwasher safe|induction|"
            "insulated"
        ),
        _words("set of 3|with lid|for two|family size|24cm|2 litre|with handles"),
        price=34.0,
        season=(1.0, 1.2, 1.4, 1.1, 0.9, 0.9),
    ),
    Department(
        "garden",
        _words(
            "garden chairs|plant pots|hose pipe|bird feeder|lawn mower|compost bin|solar lights|"
            "parasol|secateurs|grass seed|watering can|raised bed|garden gloves|fire pit|trellis"
        ),
        _words("Greenmarrow|Hedgeling|Thornbury Lane|Sproutwell|Mosswick|Fieldhand"),
        _words("folding|cordless|wooden|metal|terracotta|solar powered|rattan|large|galvanised"),
        _words("set of 4|with cover|50cm|pack of 6|for balcony|20 litre"),
        price=39.0,
        season=(0.7, 0.4, 0.4, 0.5, 0.9, 1.9),
    ),
    Department(
        "toys",
        _words(
            "building blocks|board game|jigsaw puzzle|teddy bear|remote control car|doll house|"
            "wooden train set|craft kit|play dough|scooter|card game|toy kitchen|marble run|"
            "colouring book|bath toys"
        ),
        _words("Tumblewick|Brixalot|Pocketfable|Giggleton|Wondermoor|Little Lanterns"),
        _words("wooden|educational|magnetic|glow in the dark|soft|electronic|travel|giant"),
        _words(
            "for 3 year olds|500 pieces|1000 pieces|for toddlers|for 8 year olds|2 players|"
            "for adults"
        ),
        _words("kids|baby|girls|boys"),
        price=22.0,
        season=(1.0, 1.9, 2.8, 0.6, 0.7, 0.8),
    ),
    Department(
        "clothing",
        _words(
            "winter coat|jeans|dress|t shirt|jumper|raincoat|socks|pyjamas|leggings|shirt|"
            "hoodie|scarf|gloves|cardigan|shorts|beanie|swimsuit"
        ),
        _words("Marlowe & Finch|Threadneedle Row|Ostara|Wolden|Saltgrass|Ravelin|Pinecroft"),
        _words(
            "cotton|wool|linen|long sleeve|oversized|thermal|striped|high waisted|merino|quilted"
        ),
        _words("size 12|size 10|size 14|medium|large|small|xl|pack of 5|petite|tall"),
        _words("womens|mens|kids|girls|boys|baby"),
        price=36.0,
        season=(1.1, 1.4, 1.5, 1.2, 0.9, 0.9),
    ),
    Department(
        "outdoor",
        _words(
            "tent|sleeping bag|backpack|camping chair|head torch|camping stove|walking poles|"
            "cool box|dry bag|air mattress|thermos|picnic blanket|hammock|climbing rope"
        ),
        _words("Tarnhowe|Kestrova|Corrieline|Basecamp Nine|Fellwander|Driftstone"),
        _words("lightweight|4 man|inflatable|pop up|insulated|2 man|self inflating|ultralight"),
        _words("40 litre|3 season|20 litre|double|for festivals|with bag|family"),
        price=58.0,
        season=(0.8, 0.7, 0.9, 0.7, 0.9, 1.4),
    ),
    Department(
        "home",
        _words(
            "duvet cover|curtains|rug|table lamp|cushion covers|bath towels|bed sheets|mirror|"
            "wall clock|candles|picture frame|laundry basket|throw|shower curtain|pillow|"
            "bookcase|desk lamp"
        ),
        _words("Harrow & Wick|Linenmoor|Dovestead|Fernleigh|Nestabode|Calloway House"),
        _words("cotton|blackout|velvet|round|scented|linen|led|floral|waffle|scandi"),
        _words("king size|double|set of 2|single|for bedroom|60cm|for living room"),
        price=28.0,
        season=(1.0, 1.1, 1.2, 1.3, 1.0, 1.0),
    ),
    Department(
        "fitness",
        _words(
            "yoga mat|dumbbells|resistance bands|exercise bike|protein powder|skipping rope|"
            "foam roller|kettlebell|gym bag|treadmill|water bottle|pull up bar|yoga blocks"
        ),
        _words("Ironhollow|Asanique|Pulsegrove|Veldora|Repforge|Flexmoor"),
        _words("thick|adjustable|non slip|folding|heavy|vegan|eco friendly|extra long"),
        _words("10kg|set of 3|for beginners|5kg|20kg|for home|with bag"),
        price=32.0,
        season=(0.8, 0.7, 0.8, 2.2, 1.5, 1.1),
    ),
    Department(
        "pets",
        _words(
            "dog bed|cat food|dog lead|cat litter|dog toys|cat tree|dog coat|bird seed|"
            "fish tank|puppy pads|dog harness|scratching post|rabbit hutch|hamster cage"
        ),
        _words("Waggleton|Purrington|Tailmoor|Barkwell|Whiskerby|Burrow & Co"),
        _words("large|orthopaedic|grain free|washable|retractable|reflective|clumping|raised"),
        _words("12kg|for puppies|pack of 12|for kittens|senior|medium|xl"),
        price=24.0,
    ),
    Department(
        "stationery",
        _words(
            "notebook|diary|fountain pen|wrapping paper|gel pens|planner|sticky notes|"
            "christmas cards|pencil case|desk organiser|highlighters|paint brushes|sketchbook"
        ),
        _words("Inkwell Lane|Quillion|Foliohaus|Marginalia|Papermoss"),
        _words("a5|hardback|recycled|2026|lined|refillable|pastel|dotted|leather"),
        _words("pack of 10|a4|set of 12|weekly|fine tip|with elastic|5m"),
        price=11.0,
        season=(0.8, 1.3, 1.9, 1.4, 0.8, 0.8),
    ),
    Department(
        "beauty",
        _words(
            "face cream|shampoo|hair dryer|lipstick|perfume|sun cream|hand cream|nail polish|"
            "electric toothbrush|beard trimmer|body lotion|mascara|bath bombs|hair clips"
        ),
        _words("Solenne|Verbena & Rue|Mirelle|Aurelio Bay|Petalworks|Glasswing"),
        _words(
            "sensitive skin|fragrance free|vegan|moisturising|travel size|organic|matte|"
            "long lasting|spf 50"
        ),
        _words("200ml|gift set|50ml|refill|100ml|pack of 3"),
        _words("womens|mens|baby"),
        has_colours=False,
        price=19.0,
        season=(0.9, 1.2, 1.7, 0.9, 1.1, 1.0),
    ),
)

ACCOUNT_QUERIES: Final = (
    "where is my order 40{number:08d}",
    "return order 40{number:08d}",
    "gift card shopper{number}@example.com",
    "call me on 020 7946 0{short:03d}",
)
"""What people type into the wrong box; privacy rules must keep these out."""
