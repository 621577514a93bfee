-- A third rail: bank cards through a licensed aggregator.
ALTER TABLE applications
    DROP CONSTRAINT applications_rail_check,
    ADD CHECK (rail IN ('alipay', 'wechatpay', 'bankcard'));
