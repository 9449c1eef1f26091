"""The agents, one file a role, and the one client through which all of them speak to a model.

``prelabeler`` drafts, ``quality_inspector`` judges. An agent turns typed items into a prompt, and a model's answer into
typed results; what may go wrong with an answer is dealt with here, item by item. Who asks whom in which order is told
in crews/; the words stand in prompts/. Only ``llm`` and ``engine`` know CrewAI, whose import takes seconds.
"""
