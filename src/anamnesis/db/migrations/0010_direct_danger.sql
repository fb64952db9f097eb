-- How urgent a direct message sounded: 0 routine, 1 urgent, 2 emergency. It only ever puts a case higher.

ALTER TABLE direct_messages ADD COLUMN acuity smallint NOT NULL DEFAULT 0 CHECK (acuity BETWEEN 0 AND 2);
