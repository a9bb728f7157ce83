-- Mails go out in an order in which nobody's heap keeps another's waiting; each knows the invoice that it is about, so that nobody who
-- has paid is reminded; and what begins in the registry is written in the tenant's language.

-- Its place in the order: when it is due, for some kinds earlier, and of one tenant and kind one after the other. A mail that was
-- decided by the program before this migration comes first.
alter table mails add column turn_at timestamptz not null default '-infinity';
-- No foreign key: as `tenant_id`.
alter table mails add column invoice_id uuid;

-- What is to be sent next.
create index mails_turn_at_idx on mails (turn_at, due_at) where state = 'pending';
-- Which is the last of a tenant's in that order?
create index mails_share_idx on mails (tenant_id, kind, turn_at) where state = 'pending';
drop index mails_due_at_idx;

-- As the tenant's settings say: noted here after they have changed.
alter table tenants add column language text not null default 'pt-BR';
alter table tenants add constraint tenants_language_check check (language in ('pt-BR', 'en'));
