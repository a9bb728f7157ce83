-- Users who have been asked in and have not come yet: they have no password, so nobody can log in as them.

alter table users alter column password_hash drop not null;

alter table users drop constraint users_status_check;

alter table users add constraint users_status_check check (status in ('active', 'disabled', 'invited'));

-- An invitation that was taken back is `disabled` and still without a password; nobody is active without one.
alter table users add constraint users_password_check
    check (case status when 'active' then password_hash is not null when 'invited' then password_hash is null else true end);
