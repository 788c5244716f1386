"""How the schema is written in each source's own terms; ``load`` reads by it and ``simulate`` writes by it."""
