-- A refund that was asked for and not granted is kept beside what the counter refused.
ALTER TABLE redemption_refusals
    DROP CONSTRAINT redemption_refusals_action_check,
    ADD CONSTRAINT redemption_refusals_action_check
        CHECK (action IN ('code', 'redeem', 'upload', 'return', 'refund'));
