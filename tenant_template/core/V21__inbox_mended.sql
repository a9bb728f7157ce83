-- A telephone that was given up is given up, although its bot is started again before whoever runs it has heard of that; and
-- notifications are found by what is asked of them.

-- The device is to be put aside before the bot runs again.
alter table whatsapp_devices add column unlink_wanted boolean not null default false;

-- Which go with a conversation that is removed?
create index notifications_conversation_id_idx on notifications (conversation_id) where conversation_id is not null;
-- What has a user not looked at yet, newest first?
create index notifications_user_id_id_idx on notifications (user_id, id) where read_at is null;
