-- Drops the subscriptions, proofs of consent included: export them first if the newsletter is to come back.
-- ACCESS EXCLUSIVE on newsletter_subscriptions: a release that uses it must be gone before.

-- squawk-ignore ban-drop-table -- the inverse of creating it
DROP TABLE newsletter_subscriptions;
