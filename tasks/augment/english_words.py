"""English function words: never replaced by a synonym, and no content words."""

from __future__ import annotations


def words(text: str) -> frozenset[str]:
    """The words of a list written as running text."""
    return frozenset(text.split())


DETERMINERS = words("""
a an the my your his her its our their this that these those some any each every another which whose
""")
BEFORE_VERB = words("""
to can could will would shall should must may might do does did i you we they please let's not don't doesn't didn't won't can't
""")
FUNCTION = (
    DETERMINERS
    | BEFORE_VERB
    | words("""
am is are was were be been being have has had having he she it me him us them mine yours ours theirs myself yourself itself who
whom what when where why how if then than so as at by for from in into of off on onto out over under up down with within about
above across after against along among around before behind below between during like near since through throughout till until
upon via and but or nor yet because while although though whether both either neither not no yes all most more much many few less
least several such same other own just only also too very even still again ever never here there now one two three four five six
seven eight nine ten eleven twelve twenty thirty forty fifty hundred thousand million first second third once twice got get gets
getting let lets make makes made put puts go goes went gone come came take took ok okay hi hello hey thanks thank sorry please
well oh um per vs etc ie eg i'm i've i'd i'll you're it's that's what's don't
""")
)
