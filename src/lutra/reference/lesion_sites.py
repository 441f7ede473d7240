"""Where a lesion lies, from the name its author gave it: `lesion 3 liver segment 6` is in the liver."""

from __future__ import annotations

import re

from lutra.reference.region_names import simplified

SITES = {
    "liver": r"liver|hepat\w*|hepar|leber\w*|lever|foie|segment [1-8]",
    "node": r"nodes?|lymph\w*|ln|nodal|mesenteric|retroperiton\w*|lymfe\w*",
    "bone": r"bones?|skelet\w*|osseous|vertebra\w*|ribs?|femur|humerus|sacrum|iliac|ilium|sternum|scapula|skull|[ctl]\d{1,2}",
    "lung": r"lungs?|pulmon\w*|lunge",
    "pancreas": r"pancrea\w*|pankrea\w*",
    "bowel": r"bowel|ileum|ileal|jejun\w*|duoden\w*|colon|rectum|intestin\w*|darm",
    "peritoneum": r"periton\w*|omental|omentum",
}
"""Whole words, on the simplified name. The tumour's first site is among them: a primary is named after its organ."""
OTHER, SEVERAL = "other", "unclear"


def site_of_lesion(name: str) -> str:
    """Give the site that a name says, `other` if it says none, and `unclear` if it says two."""
    words = re.sub(r"^lesion\s*\w*", "", simplified(name))
    found = [site for site, pattern in SITES.items() if re.search(rf"\b({pattern})\b", words)]
    return found[0] if len(found) == 1 else SEVERAL if found else OTHER
