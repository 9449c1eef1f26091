"""The words that models read: one Markdown file an agent task, and a loader that is strict about their variables.

A prompt file opens with front matter that says what the prompt is for and which variables it takes, and goes on with
sections, each under a heading of its own::

    ---
    about: Draft a class for each of a batch of texts.
    variables: [classes, examples, guidelines, items]
    ---
    # system
    Choose a class for each text. {guidelines}Classes:
    {classes}
    # user
    {examples}<items>
    {items}
    </items>
    # part guidelines
    The guidelines of this data set:
    {guidelines}

``system`` and ``user`` become messages (a note that is added to other messages has only ``system``); an agent of a
crew has ``role``, ``goal``, ``backstory``, ``description`` and ``expected_output`` instead. A ``part`` is named after a
variable and says how it is introduced; where the variable is empty, nothing of the part appears. Within a section,
``{{`` and ``}}`` are braces. Values are never read as templates, so braces in an item's text stay braces.

What stays the same from call to call stands first (instructions, guidelines, classes, then examples, then items), so
that providers' prompt caches hit.
"""

from prompts.loader import Message, Prompt, joint_hash, load_prompt, prompt_names

__all__ = ["Message", "Prompt", "joint_hash", "load_prompt", "prompt_names"]
