import com.segment.analytics.Analytics;
import com.segment.analytics.Callback;
import com.segment.analytics.messages.AliasMessage;
import com.segment.analytics.messages.GroupMessage;
import com.segment.analytics.messages.IdentifyMessage;
import com.segment.analytics.messages.Message;
import com.segment.analytics.messages.MessageBuilder;
import com.segment.analytics.messages.PageMessage;
import com.segment.analytics.messages.ScreenMessage;
import com.segment.analytics.messages.TrackMessage;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.concurrent.Executors;
import java.util.concurrent.TimeUnit;

/** Uses Segment's SDK. */
final class Segment {
    private Segment() {}

    static List<MessageBuilder<?, ?>> everyCall(String user) {
        String anonymous = "anonymous-" + user;
        return List.of(
            IdentifyMessage.builder().userId(user).traits(Map.of(
                "email", user + "@example.test", "firstName", "Ada", "plan", "pro",
                "address", Map.of("city", "Turin"))),
            TrackMessage.builder("Opened").userId(user).properties(Map.of("n", 1)),
            TrackMessage.builder("Order Completed").userId(user).properties(Map.of(
                "order_id", "o1", "total", 21.0,
                "products", List.of(Map.of("product_id", "p", "quantity", 2)))),
            PageMessage.builder("Pricing").userId(user).properties(Map.of("category", "Docs")),
            ScreenMessage.builder("Main").userId(user),
            GroupMessage.builder("acme").userId(user).traits(Map.of("size", 3)),
            TrackMessage.builder("Visited").anonymousId(anonymous),
            AliasMessage.builder(anonymous).userId("known-" + user));
    }

    static List<MessageBuilder<?, ?>> numbered(String user, int count) {
        List<MessageBuilder<?, ?>> messages = new ArrayList<>();
        for (int number = 0; number < count; number++) {
            messages.add(TrackMessage.builder("E" + number).userId(user));
        }
        return messages;
    }

    /** Sends messages, {@code threads} batches of them at a time; returns the errors. */
    static List<String> send(
            String key, String host, List<MessageBuilder<?, ?>> messages, int threads)
            throws InterruptedException {
        Outcome outcome = new Outcome(messages.size());
        Analytics sdk = Analytics.builder(key)
            .endpoint(host)
            .flushInterval(1, TimeUnit.SECONDS)
            .flushQueueSize(10)
            .retries(5)
            .networkExecutor(Executors.newFixedThreadPool(threads))
            .callback(new Callback() {
                @Override
                public void success(Message message) {
                    outcome.succeeded();
                }

                @Override
                public void failure(Message message, Throwable error) {
                    outcome.failed(error);
                }
            })
            .build();
        messages.forEach(sdk::enqueue);
        sdk.flush();
        List<String> errors = outcome.errors();
        sdk.shutdown();
        return errors;
    }
}
