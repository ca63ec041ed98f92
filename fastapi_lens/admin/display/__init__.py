"""Values as people read them: numbers, times, charts, links, labels. No I/O."""
