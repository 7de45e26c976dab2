-- Targets' objects whose object of a forest was looked at again because what the target confirmed is read by
-- rules: what is exported for the sake of that is not looked at again.
CREATE TABLE settling (
    target INTEGER PRIMARY KEY
);
