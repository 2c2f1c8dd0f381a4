"""How fast spans go in through the materialized views, how long the views take to answer, how much room it takes."""
