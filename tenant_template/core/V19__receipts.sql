-- When a message that was sent has arrived and was seen, where the provider tells.

alter table messages add column delivered_at timestamptz;
alter table messages add column read_at timestamptz;
