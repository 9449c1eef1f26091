"""What common class names mean, in sentences that texts of such a class resemble.

A sentence embedder knows topics from their names, but not moods and intentions: "positive" is near to nothing that a
happy customer writes. For names that many labelsets share, these sentences stand in for the description that a person
has not given; a class with a description or an example of its own never gets them. They were written for this purpose,
before anything was measured with them.
"""

from __future__ import annotations

from collections.abc import Mapping

_POSITIVE = (
    "I love it.",
    "It is excellent and works perfectly.",
    "Great quality, I would recommend it to everyone.",
    "I am very happy with it and would buy it again.",
    "Better than I expected.",
    "The best I have ever had.",
    "A wonderful experience, thank you.",
)
_NEGATIVE = (
    "I hate it.",
    "It is terrible and does not work.",
    "Poor quality, I would not recommend it to anyone.",
    "I am very disappointed and want my money back.",
    "Worse than I expected.",
    "It broke, it fell apart, it stopped working.",
    "An awful experience, never again.",
)
_NEUTRAL = (
    "It is okay, nothing special.",
    "It arrived on the date that was given.",
    "I have no strong feelings about it.",
    "This is a plain statement of facts.",
)
_SPAM = (
    "Congratulations, you have won a prize! Click here to claim it now.",
    "Earn money fast from home, limited offer, act now.",
    "Your account is locked, follow this link and enter your password.",
    "Buy cheap pills without a prescription.",
)
_HAM = (
    "Hi, are we still meeting for lunch tomorrow?",
    "Please find the report attached, let me know what you think.",
    "Thanks for your help yesterday.",
)
_URGENT = (
    "This is urgent, please help immediately.",
    "Everything is down and we are losing money every minute.",
    "I need an answer today, it cannot wait.",
)
_NOT_URGENT = (
    "No hurry, whenever you have time.",
    "Just a small question, it can wait.",
    "For your information, nothing needs to be done.",
)
_COMPLAINT = (
    "I am very unhappy with your service.",
    "This is unacceptable, I want to complain.",
    "It does not work and nobody answers me.",
)
_PRAISE = ("Thank you, you did a great job.", "I am impressed by your service.", "Well done, keep it up!")
_QUESTION = ("How do I do this?", "Can you tell me when it opens?", "What is the difference between the two?")
_REQUEST = ("Please send me a copy.", "I would like to change my booking.", "Could you cancel my order, please?")
_SUGGESTION = (
    "It would be nice if you added this.",
    "You should let people choose the colour.",
    "My idea for an improvement is this.",
)
_BUG = ("The app crashes when I open it.", "I get an error message.", "The button does nothing when I press it.")
_JOY = ("I am so happy today!", "What a wonderful day, I cannot stop smiling.", "We are thrilled and delighted.")
_SADNESS = ("I feel so sad and alone.", "I have been crying all day.", "I miss her, everything is hopeless.")
_ANGER = ("I am furious.", "This makes me so angry.", "How dare they, I am outraged.")
_FEAR = ("I am scared.", "I am afraid of what will happen.", "It terrifies me and I cannot sleep.")
_SURPRISE = ("I did not expect that at all!", "Wow, I cannot believe it.", "That came out of nowhere.")
_DISGUST = ("That is disgusting.", "It makes me sick.", "Gross, I could not even look at it.")
_LOVE = ("I love you so much.", "You mean the world to me.", "I adore him with all my heart.")
_TOXIC = ("You are an idiot, shut up.", "Nobody likes you, get lost.", "I hate people like you, you are worthless.")
_CIVIL = ("Thank you for explaining your view.", "I see it differently, but you make a good point.", "Nice article.")

SENTENCES: Mapping[str, tuple[str, ...]] = {
    "positive": _POSITIVE,
    "pos": _POSITIVE,
    "negative": _NEGATIVE,
    "neg": _NEGATIVE,
    "neutral": _NEUTRAL,
    "spam": _SPAM,
    "ham": _HAM,
    "not spam": _HAM,
    "no spam": _HAM,
    "urgent": _URGENT,
    "not urgent": _NOT_URGENT,
    "non urgent": _NOT_URGENT,
    "complaint": _COMPLAINT,
    "praise": _PRAISE,
    "compliment": _PRAISE,
    "question": _QUESTION,
    "request": _REQUEST,
    "suggestion": _SUGGESTION,
    "feature request": _SUGGESTION,
    "bug": _BUG,
    "bug report": _BUG,
    "joy": _JOY,
    "happiness": _JOY,
    "sadness": _SADNESS,
    "anger": _ANGER,
    "fear": _FEAR,
    "surprise": _SURPRISE,
    "disgust": _DISGUST,
    "love": _LOVE,
    "toxic": _TOXIC,
    "not toxic": _CIVIL,
    "non toxic": _CIVIL,
}
"""By the class name in lower-case words."""
