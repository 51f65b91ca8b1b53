"""The live terminal dashboard of the shop's events (`ottla dash`).

`aggregate` and the modules it uses count; they are plain and know neither Kafka nor the
terminal. `reader` reads the topic in a thread, `app` and `panels` draw, `plain` prints.
"""
