-- Run after every restore, on the newest version of the tables. Work that waited when the snapshot was made has been
-- done since, or is out of date: nothing is sent twice.
update outbox set state = 'canceled', leased_until = null, leased_by = null where state = 'pending';
update jobs set state = 'dead', leased_until = null, leased_by = null, last_error = 'restored' where state = 'queued';
update messages set status = 'failed', error = 'restored' where direction = 'outbound' and status = 'queued';
