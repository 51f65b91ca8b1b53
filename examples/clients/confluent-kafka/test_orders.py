from orders import place, ship

CHAIR = {"customer": "ada", "item": "a chair"}
LAMP = {"customer": "ada", "item": "a lamp"}


def test_orders_are_shipped_once_and_in_order(kafka, kafka_topic):
    place(kafka.bootstrap_servers, kafka_topic, [CHAIR, LAMP])
    assert ship(kafka.bootstrap_servers, kafka_topic, f"{kafka_topic}-ship", 1) == [CHAIR]
    assert ship(kafka.bootstrap_servers, kafka_topic, f"{kafka_topic}-ship", 1) == [LAMP]
    kafka.assert_lag(f"{kafka_topic}-ship", 0)
