"""Messages with UUID keys, logged by a consumer group (`ottla demo uuid`)."""
