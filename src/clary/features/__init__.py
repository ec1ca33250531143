"""Features and facts: groups of records online and offline, views, training sets, the proof."""
