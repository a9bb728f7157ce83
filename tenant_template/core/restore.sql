-- Run after every restore, on the newest version of the tables. Work that waited when the snapshot was made has been
-- done since, or is out of date: nothing is sent twice.
update outbox set state = 'canceled', payload = '{}', leased_until = null, leased_by = null where state = 'pending';
-- Two clocks go on: that of the customers' dues looks at what is owed now, and sends nothing that was decided before; that of
-- what is said later looks at once, and passes over what is due by then, as it may have been said since.
update jobs set state = 'dead', payload = '{}', leased_until = null, leased_by = null, last_error = 'restored'
where state = 'queued' and coalesce(dedupe_key not in ('customers_day', 'schedules'), true);
update jobs set leased_until = null, leased_by = null where dedupe_key in ('customers_day', 'schedules');
update jobs set payload = '{"restored": true}', run_at = created_at where state = 'queued' and dedupe_key = 'schedules';
update scheduled_messages set restored = true where state = 'scheduled';
update messages set status = 'failed', error = 'restored' where direction = 'outbound' and status = 'queued';
-- Whom a broadcast has told since is not known here: what was under way is given up, what was to begin waits for somebody.
update broadcast_recipients set state = 'skipped' where state = 'queued';
update broadcasts set skipped = skipped + queued, queued = 0, next_at = null where queued > 0;
update broadcasts set state = case state when 'scheduled' then 'draft' else 'canceled' end, reason = 'restored', next_at = null
where state in ('scheduled', 'running', 'paused');
-- What a charge was when the snapshot was made says nothing of what it is now, and a copy's dues have none.
update dues set charge_id = null, pix_code = null, pix_expires_at = null where charge_id is not null;
-- What waited for an answer has been answered since, or is out of date.
update messages set processed_at = created_at
where direction = 'inbound' and processed_at is null and instance_id in (select id from instances);
-- Whom nobody runs fetches nothing more.
update messages set file_state = 'failed', file_error = 'restored', file_due_at = null, file_sealed = null
where file_state = 'pending' and not exists (select from instances i where i.id = messages.instance_id and i.deleted_at is null);
-- Bots come back as they were, and are looked at anew.
update instances set state = 'created', state_detail = '{}' where deleted_at is null;
