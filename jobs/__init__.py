"""Durable work: importing, embedding, drafting, training and exporting, in steps that survive a kill.

A job is a row that the gateway (or the command line) writes; worker processes pick queued rows up and run each as a
DBOS workflow, whose steps are recorded, so that a process that dies is taken over where it stopped. The order of model
calls belongs to crews/, the arithmetic to learning/; here live retries, checkpoints, pauses and budgets.
"""
