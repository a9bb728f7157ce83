-- What administrators need to correct a tenant's data without losing each other's changes, and to see an onboarding
-- that cannot be finished; and every process hears of a shard that another one has added.

alter table tenants
    add column version integer not null default 1,
    -- How often a worker has taken the onboarding up; after the last attempt the tenant is `failed`.
    add column onboarding_attempts integer not null default 0,
    -- Why the last attempt did not succeed; no row's values.
    add column onboarding_error text,
    add constraint tenants_version_check check (version > 0),
    add constraint tenants_onboarding_attempts_check check (onboarding_attempts >= 0),
    add constraint tenants_onboarding_error_check check (char_length(onboarding_error) <= 1000),
    -- A failed onboarding can be taken up again, so it keeps what it needs.
    drop constraint tenants_onboarding_sealed_check,
    add constraint tenants_onboarding_sealed_check
        check (onboarding_sealed is null or status in ('provisioning', 'failed'));

create trigger shards_notice_insert after insert on shards
    for each row execute function notice_everything();
