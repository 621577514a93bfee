-- Since when we know how a merchant's guarantee deposit stands; news may come out of order.
ALTER TABLE merchants ADD COLUMN guarantee_told_at timestamptz;
