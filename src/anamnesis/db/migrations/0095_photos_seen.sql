-- How many of a patient's photos went along with a call to a model; never which, and nothing of what they show.

ALTER TABLE model_calls ADD COLUMN photos smallint NOT NULL DEFAULT 0;
