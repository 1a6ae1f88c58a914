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
import java.util.List;
import java.util.Map;
import java.util.concurrent.Executors;
import java.util.concurrent.TimeUnit;

/** Uses Segment's SDK. */
final class Segment {
    private Segment() {}

    private static MessageBuilder<?, ?> of(Sent sent) {
        switch (sent.type) {
            case "identify":
                return IdentifyMessage.builder().traits(sent.traits);
            case "track":
                TrackMessage.Builder track = TrackMessage.builder(sent.event);
                return sent.properties == null ? track : track.properties(sent.properties);
            case "page":
                return PageMessage.builder(sent.name)
                    .properties(Map.of("category", sent.category));
            case "screen":
                return ScreenMessage.builder(sent.name);
            case "group":
                return GroupMessage.builder(sent.groupId).traits(sent.traits);
            default:
                return AliasMessage.builder(sent.previousId);
        }
    }

    /** Sends messages, {@code threads} batches of them at a time, until all are told of. */
    static void send(String key, String host, List<Sent> messages, int threads, Outcome outcome)
            throws InterruptedException {
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
        for (Sent sent : messages) {
            MessageBuilder<?, ?> message = of(sent);
            if (sent.userId != null) {
                message.userId(sent.userId);
            } else {
                message.anonymousId(sent.anonymousId);
            }
            sdk.enqueue(message);
        }
        sdk.flush();
        outcome.await();
        sdk.shutdown();
    }
}
