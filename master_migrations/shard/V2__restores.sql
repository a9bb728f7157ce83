-- Which restore a tenant's rows come from, written in the transaction that loads them: the proof that it was committed.
alter table tenant_roles add column restore_id uuid;
