"""PostgreSQL: the pool, the migrations, the outbox, and a private server when none is given."""
