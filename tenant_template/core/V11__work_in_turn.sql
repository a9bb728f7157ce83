-- Work that has ended holds nothing any more, and no heap of one kind of it keeps another kind waiting.

-- What it was about (addresses, words) is kept where it belongs. From now on a line is emptied when it ends.
update outbox set payload = '{}' where state <> 'pending' and payload <> '{}';
update jobs set payload = '{}' where state <> 'queued' and payload <> '{}';

-- The first of each kind that are due, also which kinds there are.
create index outbox_kind_due_at_idx on outbox (kind, due_at) where state = 'pending';
create index jobs_kind_run_at_idx on jobs (kind, run_at) where state = 'queued';
drop index outbox_due_idx;
drop index jobs_due_idx;
