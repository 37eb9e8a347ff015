-- For sqlc only, which also reads the migrations. The program creates the schema itself
-- before its first migration.
CREATE SCHEMA widget_service;
