"""Files in and out: what is taken, what is refused and in which words, and that writing and reading are inverse."""
