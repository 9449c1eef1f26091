"""The crews, one file each: who is asked in which order, and what becomes of their answers.

``prelabel`` lets two agents deliberate on doubtful items; ``bulk`` drafts many items, and sends only the doubtful ones
there; ``local`` is the model that needs no server. ``models`` finds the labeler behind a model's name. No input or
output here but the model's.
"""
