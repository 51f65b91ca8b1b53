import asyncio

from orders import place, ship

CHAIR = {"customer": "ada", "item": "a chair"}
LAMP = {"customer": "ada", "item": "a lamp"}


def test_orders_are_shipped_once_and_in_order(kafka, kafka_topic):
    async def story():
        await place(kafka.bootstrap_servers, kafka_topic, [CHAIR, LAMP])
        assert await ship(kafka.bootstrap_servers, kafka_topic, "shipping", 1) == [CHAIR]
        assert await ship(kafka.bootstrap_servers, kafka_topic, "shipping", 1) == [LAMP]

    asyncio.run(story())
    kafka.assert_lag("shipping", 0)
