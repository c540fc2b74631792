"""Tables of the Unicode characters that are used in place of the ASCII apostrophe and hyphen."""

VARIANTS = {"'": "’‘‛ʼ＇´", "-": "\u2010\u2011"}
"""Other shapes of the apostrophe and the hyphen that people and word processors write."""
PLAIN = {ord(one): plain for plain, others in VARIANTS.items() for one in others}
"""A table for `str.translate`: the ASCII apostrophe or hyphen for each character in `VARIANTS`."""
