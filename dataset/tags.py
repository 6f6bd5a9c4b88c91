"""What a clip is tagged with: the vocabulary, version 1.

A clip has one value of each tag from beginning to end (paper, Table 2: 5 clothing colours, 2 lighting conditions,
0 or 1 occupants), which is what lets one code z stand for a whole clip. Order is the class label's number in a
dataset: append, never reorder.
"""

from .. import LrtError

VOCABULARY_VERSION = 1
CLOTHING = ("white", "red", "green", "blue", "black")
LIGHTING = ("bright", "dim")


class TagError(LrtError, ValueError):
    """A tag that the vocabulary does not know."""


def check_tags(clothing: str, lighting: str, occupants: int) -> None:
    """Refuse what the vocabulary does not know.

    Raises:
        TagError: naming the tag, what was found and what may stand there.
    """
    for tag, value, vocabulary in (("clothing", clothing, CLOTHING), ("lighting", lighting, LIGHTING)):
        if value not in vocabulary:
            raise TagError(f"{tag} '{value}' is not in the vocabulary; choose one of {', '.join(vocabulary)}")
    if occupants < 0:
        raise TagError(f"occupants is {occupants}; give the number of people in view, 0 or more")
