-- What stood here before the engine. The step before this one took from it all that is not read anew.
DROP TABLE object;
DROP TABLE anchor;
DROP TABLE exported;
DROP TABLE credential;
DROP TABLE cursor;
DROP TABLE state;
